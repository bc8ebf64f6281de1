package rtmpose;

import com.sun.jna.IntegerType;
import com.sun.jna.Library;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.Structure.FieldOrder;
import com.sun.jna.ptr.PointerByReference;

/** The C interface; layouts and meanings are those of rtmpose.h. */
interface Native extends Library {
    /** 8-bit pixels. */
    @FieldOrder({"structSize", "format", "data", "width", "height", "stride"})
    final class CImage extends Structure {
        public int structSize;
        public int format;
        public Pointer data;
        public int width;
        public int height;
        public long stride;
    }

    /** A number of bytes: size_t. */
    final class Size extends IntegerType {
        private static final long serialVersionUID = 1L;

        /** None. */
        public Size() {
            this(0);
        }

        Size(long value) {
            super(com.sun.jna.Native.SIZE_T_SIZE, value, true);
        }
    }

    /** Where and how a model runs. */
    @FieldOrder({"structSize", "threads", "device", "allowSpinning"})
    final class COptions extends Structure {
        public int structSize;
        public int threads;
        public Pointer device;
        public int allowSpinning;
    }

    /** What a model is. */
    @FieldOrder({"structSize", "kind", "inputWidth", "inputHeight", "keypoints", "links", "id",
        "skeleton", "keypointNames", "linkPairs", "classes", "classNames", "device", "deviceNote"})
    final class CModelInfo extends Structure {
        public int structSize;
        public int kind;
        public int inputWidth;
        public int inputHeight;
        public int keypoints;
        public int links;
        public Pointer id;
        public Pointer skeleton;
        public Pointer keypointNames;
        public Pointer linkPairs;
        public int classes;
        public Pointer classNames;
        public Pointer device;
        public Pointer deviceNote;
    }

    /** Settings of a detection. */
    @FieldOrder({"structSize", "boxThr", "label", "maxPeople"})
    final class CDetectParams extends Structure {
        public int structSize;
        public float boxThr;
        public int label;
        public int maxPeople;

        static CDetectParams of(float boxThr, int label, int maxPeople) {
            CDetectParams params = new CDetectParams();
            Loader.library().rtmpose_detect_params_init(params, params.size());
            params.boxThr = boxThr;
            params.label = label;
            params.maxPeople = maxPeople;
            return params;
        }
    }

    /** Boxes. */
    @FieldOrder({"count", "boxes", "scores", "labels"})
    final class CDetections extends Structure {
        public int count;
        public Pointer boxes;
        public Pointer scores;
        public Pointer labels;

        CDetections(Pointer at) {
            super(at);
            read();
        }
    }

    /** People. */
    @FieldOrder({"count", "keypointCount", "boxes", "boxScores", "keypoints", "scores", "ids"})
    final class CPoses extends Structure {
        public int count;
        public int keypointCount;
        public Pointer boxes;
        public Pointer boxScores;
        public Pointer keypoints;
        public Pointer scores;
        public Pointer ids;

        CPoses(Pointer at) {
            super(at);
            read();
        }
    }

    /** Settings of a tracker. */
    @FieldOrder({"structSize", "detInterval", "detLabel", "detThr", "detMinBboxSize", "detNmsThr",
        "poseMaxNumBboxes", "poseKptThr", "poseMinKeypoints", "poseBboxScale", "poseMinBboxSize",
        "poseNmsThr", "trackIouThr", "trackMaxMissing", "trackHistorySize", "stdWeightPosition",
        "stdWeightVelocity", "smoothParams", "smooth", "repairSwaps", "rememberS", "confirm",
        "personThr", "wholeImage"})
    final class CTrackerParams extends Structure {
        public int structSize;
        public int detInterval;
        public int detLabel;
        public float detThr;
        public float detMinBboxSize;
        public float detNmsThr;
        public int poseMaxNumBboxes;
        public float poseKptThr;
        public int poseMinKeypoints;
        public float poseBboxScale;
        public float poseMinBboxSize;
        public float poseNmsThr;
        public float trackIouThr;
        public int trackMaxMissing;
        public int trackHistorySize;
        public float stdWeightPosition;
        public float stdWeightVelocity;
        public float[] smoothParams = new float[3];
        public int smooth;
        public int repairSwaps;
        public float rememberS;
        public int confirm;
        public float personThr;
        public int wholeImage;
    }

    /** The next frame of a stream. */
    @FieldOrder({"structSize", "detect", "stream", "image", "timeS", "boxes", "boxScores",
        "boxCount"})
    final class CFrame extends Structure {
        public int structSize;
        public int detect;
        public Pointer stream;
        public Pointer image;
        public double timeS;
        public Pointer boxes;
        public Pointer boxScores;
        public int boxCount;
    }

    Pointer rtmpose_version();

    Pointer rtmpose_last_error();

    int rtmpose_load_engine(Pointer path);

    Pointer rtmpose_engine_version();

    void rtmpose_image_init(CImage image, int size);

    void rtmpose_options_init(COptions options, int size);

    int rtmpose_model_open(Pointer path, COptions options, PointerByReference model);

    int rtmpose_model_open_memory(
            byte[] data, Size size, Pointer name, COptions options, PointerByReference model);

    int rtmpose_model_get_info(Pointer model, CModelInfo info);

    void rtmpose_model_close(Pointer model);

    void rtmpose_detect_params_init(CDetectParams params, int size);

    int rtmpose_detector_create(Pointer model, PointerByReference detector);

    void rtmpose_detector_destroy(Pointer detector);

    int rtmpose_detector_apply(
            Pointer detector, CImage image, CDetectParams params, PointerByReference detections);

    void rtmpose_detections_release(Pointer detections);

    int rtmpose_pose_detector_create(Pointer model, PointerByReference pose);

    void rtmpose_pose_detector_destroy(Pointer pose);

    int rtmpose_pose_detector_apply(
            Pointer pose, CImage image, Pointer boxes, int boxCount, float boxThr,
            PointerByReference poses);

    void rtmpose_poses_release(Pointer poses);

    int rtmpose_find_people(
            Pointer detector, Pointer pose, CImage image, CDetectParams params, float personThr,
            PointerByReference people);

    void rtmpose_tracker_params_init(CTrackerParams params, int size);

    int rtmpose_tracker_create(
            Pointer detector, Pointer pose, CTrackerParams params, PointerByReference tracker);

    void rtmpose_tracker_destroy(Pointer tracker);

    int rtmpose_stream_create(Pointer tracker, PointerByReference stream);

    void rtmpose_stream_destroy(Pointer stream);

    int rtmpose_stream_reset(Pointer stream);

    void rtmpose_frame_init(CFrame frame, int size);

    int rtmpose_tracker_apply_batch(
            Pointer tracker, Pointer[] frames, int frameCount, Pointer[] poses);
}
